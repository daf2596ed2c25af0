import pytest

from side_by_side import best_ways, describe, ratios, summarise

WAYS = {"bundle": 10, "openvino": 100, "openvino float16": 50}


def rows_of(detector, ways, seconds, ms, scores):
    fit = {"data": "d", "detector": detector, "phase": "fit", "seconds": seconds, "processor_seconds": 2 * seconds}
    yield {**fit, "memory_mb": 1, "exports": {way: {"path": way, "bytes": WAYS[way]} for way in ways}}
    for way, number in ((way, number) for way in ways for number in range(3)):
        judged = {"truth": [False, False, True, True]} if number == 0 else {}
        yield {
            **{"data": "d", "detector": detector, "way": way, "round": number, "phase": "inspect", **judged},
            **{"ms": [ms * number] * 4, "processor_ms": [ms] * 4, "scores": scores, "memory_mb": 1},
            **{"labels": [False, True, True, False], "import_seconds": 1, "first_verdict_seconds": 2},
        }


@pytest.fixture
def rows():
    ours = rows_of("Cobnut", ["bundle"], 10, 2, [0, 1, 2, 3])
    return [*ours, *rows_of("PaDiM", ["openvino", "openvino float16"], 50, 30, [0, 2, 1, 3])]


def test_a_row_counts_false_alarms_misses_and_ranks(rows):
    first, *others = summarise(rows)

    assert (first["auroc"], first["false_alarms"], first["misses"]) == (1.0, [1, 2], [1, 2])
    assert [(row["way"], row["auroc"]) for row in others] == [("openvino", 0.75), ("openvino float16", 0.75)]


def test_the_round_that_judges_all_images_is_not_timed(rows):
    assert summarise(rows)[0]["ms_by_round"] == {1: 2.0, 2: 4.0}


def test_the_other_side_is_measured_by_its_smallest_export(rows):
    assert best_ways(summarise(rows))["d", "PaDiM"]["bytes"] == 50


def test_ratios_are_told_round_by_round(rows):
    (ratio,) = ratios(summarise(rows), {"anomalib": 1000, "cobnut base": 100})

    assert ratio["inspection"] == [15.0, 15.0, 15.0]
    assert (ratio["training"], ratio["deployed"], ratio["installed"], ratio["auroc"]) == (5.0, 5.0, 10.0, 0.25)


def test_the_page_holds_every_detector_and_the_machine(rows):
    machine = {"date": "today", "processor": "CPU", "cores": 2, "cores_used": 1, "memory_gb": 4, "system": "Linux"}
    machine |= {"python": "3", "packages": {}, "load": 0.0}
    page = describe(
        {
            **{"machine": machine, "threads": 1, "rows": rows, "versions": {"anomalib": {}, "cobnut base": {}}},
            "installed_bytes": {"anomalib": 1000, "cobnut base": 100},
        }
    )

    assert "| d | PaDiM (256 × 256) | openvino float16 | 0.750 | 1 of 2 | 1 of 2 | 50 |" in page
    assert "1 of 2 cores used" in page
