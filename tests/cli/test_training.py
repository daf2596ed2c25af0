"""What a training says at its end."""

from pathlib import Path

from cobnut.cli.training import describe_decision, evaluate_command
from cobnut.options import RegionOptions
from cobnut.runtime.bundle import read_manifest


def test_the_next_command_names_all_the_data_of_the_training() -> None:
    told = evaluate_command(Path("a.cobnut"), None, Path("good ones"), Path("bad"))
    assert told == "cobnut evaluate a.cobnut --good 'good ones' --defective bad --report report.html"
    assert evaluate_command(Path("a.cobnut"), Path("nuts"), None, None) == (
        "cobnut evaluate a.cobnut nuts --report report.html"
    )


def test_the_decision_is_of_the_image_or_of_what_is_inspected_of_it(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    score = manifest.recipe.score.model_copy(update={"least_area": 0.02})
    for region, whole in ((RegionOptions(), "the image"), (RegionOptions(ignore="0,0 9,0 9,9"), "what is inspected")):
        recipe = manifest.recipe.model_copy(update={"score": score, "region": region})
        told = describe_decision(manifest.model_copy(update={"recipe": recipe}))
        assert f"more than 2 % of {whole} lies above" in told
