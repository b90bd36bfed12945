from lung_srad.datasets import Count, Defect, Leak, Partition, Report, report_text

COUNT = Count(recordings=3, patients=2, cycles=1234)
NONE = Count(0, 0, 0)
SPLIT = Partition("official", {"train": 2}, {"train": 1234}, (), {}, "0123456789abcdef" * 4)


def report(**changes):
    values = {
        "dataset": "icbhi",
        "location": "/data/icbhi",
        "total": COUNT,
        "by_split": {"train": COUNT, "test": NONE},
        "by_class": {"normal": {"train": 1000, "test": 0}, "crackle": {"train": 234, "test": 0}},
        "by_device": {"Meditron": {"train": COUNT, "test": NONE}, "Litt3200": {"train": NONE, "test": NONE}},
        "leaks": (),
        "defects": (),
        "notices": (),
        "partition": SPLIT,
    }
    return Report(**values | changes)


def test_the_text_of_a_clean_corpus():
    assert report_text(report()) == (
        "icbhi: /data/icbhi\n"
        "\n"
        "            train  test  total\n"
        "recordings      3     0      3\n"
        "patients        2     0      2\n"
        "cycles      1,234     0  1,234\n"
        "\n"
        "cycles by class  train  test  total\n"
        "normal           1,000     0  1,000\n"
        "crackle            234     0    234\n"
        "\n"
        "cycles by device  train  test  total\n"
        "Meditron          1,234     0  1,234\n"
        "Litt3200              0     0      0\n"
        "\n"
        "split official: train 2 patients, 1,234 cycles; disjoint: no patient on two sides; sha256 0123456789ab\n"
        "\n"
        "No defects.\n"
    )


def test_leaks_defects_and_notices_are_listed_by_file():
    defects = (
        Defect("b.txt", "empty", "no line", "a cycle", "copy it"),
        Defect("a.wav", "audio", "truncated"),
        Defect("b.txt", "flag", "line 2", "0 or 1", "mend it"),
    )
    text = report_text(report(defects=defects, notices=("hello",), leaks=(Leak("156", {"train": 9, "test": 8}, {}),)))
    assert "  patient 156: split file train 9, test 8; not here\n" in text
    assert (
        "3 defects in 2 file(s)\n"
        "  a.wav\n"
        "    [audio] truncated\n"
        "  b.txt\n"
        "    [empty] no line; allowed: a cycle; copy it\n"
        "    [flag] line 2; allowed: 0 or 1; mend it\n"
    ) in text
    assert text.endswith("Good to know\n  hello\n")
    assert not report(defects=defects).ok


def test_a_file_full_of_defects_is_cut_short_in_the_text_only():
    defects = tuple(Defect("a.txt", "flag", f"line {line}") for line in range(1000))
    text = report_text(report(defects=defects))
    assert "1000 defects in 1 file(s)" in text
    assert text.count("[flag]") == 10
    assert "    and 990 more\n" in text
