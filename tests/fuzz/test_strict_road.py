"""Companies made by chance run through all notebooks without a warning, and their figures follow from their tables."""

from pathlib import Path

import pytest
from changed_company import changed_company
from strict_road import faults, walk

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [14, 42])
def test_a_changed_company_gets_five_sound_reports(sample_dir, tmp_path, seed):
    told = changed_company(seed, sample_dir, tmp_path / "company")
    assert len(told) > 3
    assert walk(tmp_path / "company", "2026-10", tmp_path / "reports") == []
    assert (tmp_path / "reports" / "refresh" / "results.json").exists()


def test_what_is_no_number_is_found_among_the_words():
    texts = [(3, "costs USD nan a month"), (4, "none of it, information, e.g. 12 and −3"), (5, "-0.0 % and 1e-05")]
    assert [fault.split(":")[0] for fault in faults(texts)] == ["cell 3", "cell 5", "cell 5"]


def test_the_same_seed_gives_the_same_company(sample_dir, tmp_path):
    first, again, other = (changed_company(seed, sample_dir, tmp_path / str(at)) for at, seed in enumerate((7, 7, 8)))
    assert first == again != other
    for path in (tmp_path / "0").iterdir():
        assert path.read_bytes() == (tmp_path / "1" / path.name).read_bytes(), path.name
