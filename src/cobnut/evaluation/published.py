"""What the study itself measured on its hazelnuts, to stand beside what is measured here."""

# Fig. 7 and section 3.4: the simple autoencoder, 33 good and 55 defective test images; rates follow from its recalls.
STUDY_CATEGORY = "hazelnut"
STUDY_GOOD, STUDY_DEFECTIVE = 33, 55
STUDY_FIGURES: dict[str, float | None] = {
    "accuracy": 0.73,
    "precision": 0.84,
    "recall": 0.69,
    "f1": 0.76,
    "false_alarm_rate": 0.21,
    "miss_rate": 0.31,
}
# Table 1: its network of convolutions and upsampling, trained with an SSIM loss for 509 epochs.
STUDY_EPOCHS = 509
STUDY_LOSSES = {"train_loss": 0.0429, "train_mse": 0.000789, "val_loss": 0.0402, "val_mse": 0.000744}


def is_of_the_study(category: str) -> bool:
    """Whether the study's figures belong beside those of a category, by its name."""
    return category.lower() == STUDY_CATEGORY
