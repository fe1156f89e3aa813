"""The protocol's statistics: the same counts that /metrics shows, of all serving processes."""

from typing import Any

from app.metrics import Meters
from app.open_inference.description import MODEL


def of_version(meters: Meters, version: int) -> dict[str, Any]:
    """Model statistics of one version since the service started."""
    counts = {
        sample.name: sample.value
        for family in meters.figures()
        for sample in family.samples
        if sample.labels.get("version", str(version)) == str(version) and "le" not in sample.labels
    }

    def count(name: str) -> int:
        return int(counts.get(f"rookie_inference_{name}", 0))

    def nanoseconds(name: str) -> int:
        return int(1e9 * counts.get(f"rookie_inference_{name}_seconds_sum", 0))

    requests, nothing = count("requests_total"), {"count": 0, "ns": 0}
    return {
        "name": MODEL,
        "version": str(version),
        "last_inference": int(1000 * counts.get("rookie_inference_last_timestamp_seconds", 0)),
        "inference_count": count("rows_total"),
        "execution_count": count("batches_total"),
        "inference_stats": {
            "success": {"count": requests, "ns": nanoseconds("queue") + nanoseconds("compute")},
            "fail": nothing,
            "queue": {"count": requests, "ns": nanoseconds("queue")},
            "compute_input": nothing,
            "compute_infer": {"count": count("batches_total"), "ns": nanoseconds("compute")},
            "compute_output": nothing,
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [],
        "memory_usage": [],
    }
