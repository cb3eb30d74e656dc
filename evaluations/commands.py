"""What each command of the command line does."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any, cast

from evaluations import comparison, pipeline
from evaluations.artefacts import PER_QUERY, RUN
from evaluations.datasets import BENCHMARKS, REGISTERED, Dataset, Registered, load
from evaluations.errors import EvaluationError
from evaluations.inspection import FACTS, inspect_folder, inspect_location
from evaluations.latency.baseline import (
    calibrate,
    calibration_paths,
    new_baseline,
    read_baseline,
)
from evaluations.latency.host import host_profile
from evaluations.latency.operating_points import SPEED_UP, TOTAL
from evaluations.latency.quiet import quiet
from evaluations.latency.session import Settings
from evaluations.progress import Progress, for_console
from evaluations.report import REPORT, Report, read_report
from evaluations.retrieval.measures import PRIMARY, Measure, default_measures, parse_measures
from evaluations.sparsity.pooling import DIMENSION_COUNTS
from evaluations.sparsity.sweeps import (
    SWEEPS,
    SWEEPS_TABLE,
    Curve,
    parse_checkpoints,
    parse_sweeps,
    verdict_lines,
)
from evaluations.systems import KINDS, Runtime, SystemSpec, check_tracks, kind_of, needs_corpus
from evaluations.systems.parse import parse_system
from evaluations.tracks import LATENCY, Findings

SHOWN_OF_POINTS = (PRIMARY, "index_bytes", TOTAL, SPEED_UP)


def evaluate(options: Namespace) -> None:
    progress = for_console(json_lines=options.json_progress)
    measures = _measures(options)
    request = _request(options)
    dataset = _dataset(options, progress, corpus=_reads_corpus(request))
    report = pipeline.evaluate(request, dataset, measures, progress)
    _show(report, options)


def measure(options: Namespace) -> None:
    progress = for_console(json_lines=options.json_progress)
    request = _request(options)
    dataset = _dataset(options, progress, corpus=_reads_corpus(request))
    _show(pipeline.measure(request, dataset.blind(), progress), options)


def score(options: Namespace) -> None:
    progress = for_console(json_lines=options.json_progress)
    measures = _measures(options)
    dataset = _dataset(options, progress, corpus=False)
    _show(pipeline.score(dataset, options.out, measures, progress), options)


def datasets(_: Namespace) -> None:
    width = max(len(dataset.name) for dataset in REGISTERED.values())
    for dataset in REGISTERED.values():
        print(f"{dataset.name:{width}}  {_how_to_name(dataset)}")
    for benchmark in BENCHMARKS.values():
        print(f"\n{benchmark.name}: {', '.join(benchmark.datasets)}")


def inspect(options: Namespace) -> None:
    """Of a system's text, or of a folder, an archive, a run file or a hub id, whose kind is then detected."""
    is_system = _names_a_kind(options.system)
    if not is_system and (options.option or options.members):
        raise EvaluationError("USAGE", f"options are of a kind; write KIND:{options.system}")
    found = _inspected_system(options) if is_system else inspect_location(options.system).to_dict()
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        if value not in (None, "", (), {}):
            print(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


def _names_a_kind(text: str) -> bool:
    path = Path(text)
    is_file = path.suffix in (".toml", ".json") and not path.is_dir()
    return text in KINDS or is_file or (":" in text and not path.exists())


def _inspected_system(options: Namespace) -> dict[str, object]:
    spec = parse_system(options.system, options.option, options.members)
    kind = kind_of(spec.kind)
    found = {"title": kind.title, "family": kind.family, **spec.to_dict(), **kind.inspect(spec)}
    if "folder" not in found or not found.get("safe"):
        return found
    known = inspect_folder(Path(str(found["folder"])), location=str(spec.location)).to_dict()
    return found | {name: known[name] for name in FACTS}


def compare(options: Namespace) -> None:
    first, second = (read_report(path) for path in options.reports)
    for line in comparison.lines(first, second):
        print(line)


def host(options: Namespace) -> None:
    """The profile, and the references' calibration, which takes seconds and must meet a quiet machine."""
    profile = host_profile()
    print(f"host profile {profile.hash}")
    for name, value in {**profile.facts, **profile.versions}.items():
        print(f"  {name:<24} {value}")
    paths = calibration_paths(_device(options.device), options.precision)
    with quiet(options.query_threads):
        found = calibrate(paths, options.query_threads)
    for name, time_ms in found.items():
        print(f"  {name:<24} {time_ms:.4g} ms a query")
    if options.write:
        new_baseline(profile, found).write(options.write, profile)
        print(f"in {options.write}")


def _device(wanted: str) -> str:
    from evaluations.systems.devices import resolve_device

    return resolve_device(wanted)


def sweeps(_: Namespace) -> None:
    for sweep in SWEEPS.values():
        print(f"{sweep.name}: {sweep.help} For {', '.join(sweep.kinds)}.")
        for variant in sweep.variants:
            name = Curve(sweep, variant, ()).name
            default = ",".join(variant.values.default) or "no values"
            print(f"  --sweep {name}={default}\n      {variant.help} Takes {variant.values.help}.")


def _request(options: Namespace) -> pipeline.Request:
    spec = _system(options)
    tracks = tuple(track.strip() for track in options.tracks.split(",") if track.strip())
    check_tracks(spec, tracks)
    curves = parse_sweeps(options.sweep, spec.kind)
    return pipeline.Request(
        spec=spec,
        out=options.out,
        tracks=tracks,
        runtime=Runtime(options.device, options.threads, options.cache, options.cache_mb << 20),
        command=options.recipe,
        latency=Settings(threads=options.query_threads),
        baseline=read_baseline(options.baseline) if options.baseline else None,
        sweeps=curves,
        checkpoints=parse_checkpoints(options.checkpoint, curves),
    )


def _reads_corpus(request: pipeline.Request) -> bool:
    """Where the system can do without, BM25 beside it in the latency track cannot."""
    return needs_corpus(request.spec) or LATENCY in request.tracks


def _system(options: Namespace) -> SystemSpec:
    settings = list(options.option)
    if options.precision:
        settings.append(f"precision={_precision(options)}")
    return parse_system(options.system, settings, options.members)


def _precision(options: Namespace) -> str:
    """`auto` is resolved here, to a name: what a report says must not depend on the reader's machine."""
    if options.precision != "auto":
        return str(options.precision)
    from evaluations.systems.devices import best_precision

    return best_precision(options.device)


def _dataset(options: Namespace, progress: Progress, *, corpus: bool) -> Dataset:
    with progress.stage("loading"):
        return load(options.dataset, split=options.split, self_hits=options.self_hits, corpus=corpus)


def _measures(options: Namespace) -> list[Measure]:
    return list(
        dict.fromkeys([*default_measures(), *(parse_measures(options.metrics) if options.metrics else [])])
    )


def _show(report: Report, options: Namespace) -> None:
    """For a person; a worker reads the report."""
    if options.json_progress:
        return
    print(f"\n{comparison.system_title(report)} on {report.dataset['name']} ({report.dataset['split']})")
    for track, findings in report.tracks.items():
        print(f"{track}  [protocol {report.protocol[track]['hash']}]")
        if "rejected" in findings.details:
            print(f"  rejected: {findings.details['rejected']}")
        for name in findings.metrics:
            print(f"  {name:<28} {comparison.shown(findings.metrics[name])}{_reason(findings, name)}")
        _show_points(findings)
    names = (REPORT, RUN, PER_QUERY, SWEEPS_TABLE, DIMENSION_COUNTS)
    written = [name for name in names if (options.out / name).is_file()]
    print(f"in {options.out}: {', '.join(written)}")


def _show_points(findings: Findings) -> None:
    """Of each point the value, its place, and what was found of the figures that most depend on it."""
    for curve in cast("list[dict[str, Any]]", findings.details.get("sweeps", [])):
        print(f"  sweep {curve['asked'].partition('=')[0]}  ({curve['axis']}, in {curve['unit']})")
        for point in curve["points"]:
            value = "unmodified" if point["is_unmodified"] else point["value"]
            if point["reason"] is not None:
                print(f"    {value:<12} no point: {point['reason']}")
                continue
            metrics = {name: point["metrics"][name] for name in SHOWN_OF_POINTS if name in point["metrics"]}
            shown = "  ".join(f"{name} {comparison.shown(found)}" for name, found in metrics.items())
            untimed = f"  (no times: {point['untimed']})" if point["untimed"] else ""
            print(f"    {value:<12} {point['axis']:<10.6g} {shown}{untimed}")
        for line in verdict_lines(curve):
            print(f"    {line}")


def _reason(findings: Findings, name: str) -> str:
    return f"  ({findings.reasons[name]})" if name in findings.reasons else ""


def _how_to_name(dataset: Registered) -> str:
    if dataset.source is None:
        return "licensed: runs and vectors only, from a folder"
    hits = ", self-hits removed" if dataset.self_hits == "remove" else ""
    return f"--dataset {dataset.source}  ({dataset.split}{hits})"
