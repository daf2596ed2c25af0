import json

from machine import describe_machine, machine_line, markdown_table, write_results


def test_the_machine_is_told_with_its_versions_and_without_those_that_are_not_there():
    machine = describe_machine(("numpy", "no-such-package"))

    assert list(machine["packages"]) == ["numpy"]
    assert 1 <= machine["cores_used"] <= machine["cores"]
    assert f"Python {machine['python']}, numpy {machine['packages']['numpy']}" in machine_line(machine)


def test_figures_stand_right_in_a_table_and_words_left():
    assert markdown_table(["who", "ms"], [["a", "1"]]) == "| who | ms |\n|---|---:|\n| a | 1 |\n"


def test_results_are_written_for_people_and_for_programs(tmp_path):
    write_results(tmp_path / "results", "run", "# Run\n", {"ms": 1.5})

    assert (tmp_path / "results" / "run.md").read_text() == "# Run\n"
    assert json.loads((tmp_path / "results" / "run.json").read_text()) == {"ms": 1.5}
