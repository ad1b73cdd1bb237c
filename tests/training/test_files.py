"""One file into which several commands write."""

from training.files import read_results, write_results


def test_a_write_keeps_what_other_commands_wrote(tmp_path):
    path = tmp_path / "results.json"
    assert read_results(tmp_path) == {}
    assert write_results(tmp_path, {"looks": {"ε": 1}}) == {"looks": {"ε": 1}}
    assert write_results(tmp_path, {"rows": [1, 2]}) == read_results(tmp_path) == {"looks": {"ε": 1}, "rows": [1, 2]}
    write_results(tmp_path, {"rows": []})
    assert read_results(tmp_path) == {"looks": {"ε": 1}, "rows": []}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"] and "ε" in path.read_text(encoding="utf-8")
