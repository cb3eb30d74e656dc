"""The host profile and what a session's surroundings did: read from files that a test writes."""

import os
import subprocess

import pytest

from evaluations.latency import cgroups, conditions, gpu, host
from evaluations.latency.conditions import Counters
from evaluations.latency.host import HostProfile, host_profile
from evaluations.latency.quiet import quiet

CPUINFO = (
    "processor\t: 0\nmodel name\t: Example 9000\nflags\t\t: sse2 avx2\n\nprocessor\t: 1\nmodel name\t: x\n"
)
IDLE, SLOWED = "0x0000000000000001", "0x0000000000000004"  # the latter: the software's power cap


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A made-up machine: its files are under the folder that is given."""
    monkeypatch.setattr(host, "CPU", tmp_path / "cpu")
    monkeypatch.setattr(host, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")
    monkeypatch.setattr(conditions, "CPU", tmp_path / "cpu")
    monkeypatch.setattr(conditions, "PRESSURE", tmp_path / "pressure")
    monkeypatch.setattr(conditions, "STAT", tmp_path / "stat")
    return tmp_path


def test_a_profile_says_what_moves_times(machine):
    write(machine / "cpuinfo", CPUINFO)
    write(machine / "cpu/cpu0/cpufreq/scaling_governor", "performance\n")
    for place, (level, form, size) in enumerate([("1", "Data", "32K"), ("3", "Unified", "32768K")]):
        write(machine / f"cpu/cpu0/cache/index{place}/level", level)
        write(machine / f"cpu/cpu0/cache/index{place}/type", form)
        write(machine / f"cpu/cpu0/cache/index{place}/size", size)
    facts = host_profile().facts
    assert facts["cpu"] == "Example 9000"
    assert facts["flags"] == "avx2 sse2"
    assert facts["caches"] == "L1d 32K, L3 32768K"
    assert facts["governor"] == "performance"
    assert facts["cores"] == len(os.sched_getaffinity(0))


def test_what_cannot_be_read_is_unknown(machine):
    facts = host_profile().facts
    assert facts["cpu"] == facts["flags"] == facts["caches"] == facts["governor"] == "unknown"
    counters = Counters.read()
    assert counters.since(counters)["steal_ticks"] == "unknown"
    assert counters.since(counters)["thermal_throttles"] == "unknown"


def test_another_kernel_is_another_profile_and_another_library_is_not():
    one, other = {"kernel": "Linux 1"}, {"kernel": "Linux 2"}
    assert HostProfile(one, {"numpy": "1"}).hash == HostProfile(one, {"numpy": "2"}).hash
    assert HostProfile(one, {}).hash != HostProfile(other, {}).hash
    assert len(HostProfile(one, {}).hash) == 12


def test_this_machine_has_the_same_profile_twice():
    assert host_profile().hash == host_profile().hash


def test_limits_of_a_container_are_those_of_its_group_and_of_all_above(machine):
    write(machine / "own", "0::/pod/task\n")
    write(machine / "cgroup/pod/task/cpu.max", "max 100000\n")
    write(machine / "cgroup/pod/cpu.max", "150000 100000\n")
    write(machine / "cgroup/pod/task/memory.max", "2000000000\n")
    write(machine / "cgroup/pod/memory.max", "max\n")
    write(machine / "cgroup/pod/task/cpu.stat", "nr_periods 7\nnr_throttled 3\n")
    assert cgroups.processor_limit() == 1.5
    assert cgroups.memory_limit() == 2_000_000_000
    assert cgroups.throttled() == 3


def test_limits_in_version_1_of_control_groups(machine):
    write(machine / "own", "5:memory:/box\n4:cpu,cpuacct:/box\n3:cpu:/box\n")
    write(machine / "cgroup/cpu/box/cpu.cfs_quota_us", "200000\n")
    write(machine / "cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
    write(machine / "cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    write(machine / "cgroup/cpu/cpu.cfs_period_us", "100000\n")
    write(machine / "cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n")
    assert cgroups.processor_limit() == 2.0
    assert cgroups.memory_limit() is None


def test_no_groups_no_limits(machine):
    assert (cgroups.processor_limit(), cgroups.memory_limit(), cgroups.throttled()) == (None, None, None)


def test_what_happened_meanwhile_is_the_difference(machine):
    write(machine / "stat", "cpu  9 9 9 9 9 9 9 40 0 0\n")
    write(machine / "pressure", "some avg10=1.01 avg60=1.38 avg300=0.94 total=5000\nfull avg10=0 total=0\n")
    write(machine / "cpu/cpu0/thermal_throttle/core_throttle_count", "1\n")
    write(machine / "cpu/cpu1/thermal_throttle/core_throttle_count", "2\n")
    before = Counters.read()
    write(machine / "stat", "cpu  9 9 9 9 9 9 9 47 0 0\n")
    write(machine / "pressure", "some avg10=1.01 avg60=1.38 avg300=0.94 total=5600\n")
    write(machine / "cpu/cpu1/thermal_throttle/core_throttle_count", "5\n")
    changed = Counters.read().since(before)
    assert (changed["steal_ticks"], changed["pressure_us"], changed["thermal_throttles"]) == (7, 600, 3)


def answering(monkeypatch, answers):
    """`nvidia-smi` as it would answer."""

    def run(command, **_):
        text = answers.get(command[1])
        return subprocess.CompletedProcess(command, 0 if text is not None else 6, text or "", "")

    monkeypatch.setattr(gpu.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(gpu.subprocess, "run", run)


def test_the_card_its_driver_and_who_else_is_on_it(monkeypatch):
    answering(
        monkeypatch,
        {
            "--query-gpu=name,driver_version": "NVIDIA H100, 580.1\n",
            "--query-compute-apps=gpu_uuid,pid": f"GPU-a, {os.getpid()}\nGPU-a, 4711\nGPU-b, 4712\n",
            "--query-gpu=uuid,clocks_event_reasons.active": f"GPU-a, {SLOWED}\nGPU-b, {IDLE}\n",
        },
    )
    assert gpu.cards() == gpu.Cards(("NVIDIA H100",), "580.1")
    assert gpu.others("GPU-a") == (4711,)
    assert gpu.throttled("GPU-a") is True


def test_another_card_may_be_shared_and_slowed(monkeypatch):
    answering(
        monkeypatch,
        {
            "--query-compute-apps=gpu_uuid,pid": f"GPU-a, {os.getpid()}\nGPU-b, 4712\n",
            "--query-gpu=uuid,clocks_event_reasons.active": f"GPU-a, {IDLE}\nGPU-b, {SLOWED}\n",
        },
    )
    assert gpu.others("GPU-a") == ()
    assert gpu.throttled("GPU-a") is False


@pytest.mark.parametrize("listed", ["", "GPU-a, 4711\n", f"GPU-b, {os.getpid()}\n", "GPU-a, [N/A]\n"])
def test_a_list_of_processes_that_lacks_our_own_says_nothing(monkeypatch, listed):
    """As in a container, where the driver may number them as the host does."""
    answering(monkeypatch, {"--query-compute-apps=gpu_uuid,pid": listed})
    assert gpu.others("GPU-a") is None


def test_an_idle_card_is_not_throttled_under_the_older_name_either(monkeypatch):
    answering(monkeypatch, {"--query-gpu=uuid,clocks_throttle_reasons.active": f"GPU-a, {IDLE}\n"})
    assert gpu.throttled("GPU-a") is False
    assert gpu.throttled("GPU-b") is None


def test_without_the_driver_nothing_is_known_of_a_card(monkeypatch):
    monkeypatch.setattr(gpu.shutil, "which", lambda _: None)
    assert (gpu.cards(), gpu.others("GPU-a"), gpu.throttled("GPU-a")) == (gpu.Cards(), None, None)


def test_a_timed_process_is_pinned_and_is_let_go_again():
    import gc

    before = os.sched_getaffinity(0)
    with quiet() as still:
        assert still.cores is None or os.sched_getaffinity(0) == set(still.cores)
        assert still.cores is None or len(still.cores) == 1
        assert not gc.isenabled()
    assert os.sched_getaffinity(0) == before
    assert gc.isenabled()


def test_the_numeric_libraries_have_one_thread_while_times_are_taken():
    import numba
    import torch
    from threadpoolctl import threadpool_info

    with quiet():
        assert torch.get_num_threads() == 1
        assert numba.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
