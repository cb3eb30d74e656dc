"""How many threads a model is given, from files as the kernel writes them."""

from evaluations.encoding import threads


def topology(root, cores):
    """`cores`: package and core of each processor."""
    for processor, (package, core) in enumerate(cores):
        folder = root / f"cpu{processor}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "core_id").write_text(f"{core}\n")
    return root


def test_two_threads_of_one_core_count_once(tmp_path):
    root = topology(tmp_path, [(0, 0), (0, 1), (0, 0), (0, 1), (1, 0), (1, 0)])
    assert threads._physical_cores({0, 1, 2, 3, 4, 5}, root) == 3
    assert threads._physical_cores({0, 2}, root) == 1


def test_processors_of_which_the_system_says_nothing_count_each(tmp_path):
    assert threads._physical_cores({0, 1, 2}, tmp_path) == 3


def test_a_control_groups_quota_limits_them(tmp_path):
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert threads._quota(tmp_path) == 2.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert threads._quota(tmp_path) == float("inf")


def test_so_does_the_first_version_of_control_groups(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert threads._quota(tmp_path) == 3.0


def test_an_operators_word_and_one_core_at_least(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.allowed_cores() == 1
    monkeypatch.setattr(threads, "_quota", lambda _: 0.5)
    assert threads.allowed_cores() == 1
