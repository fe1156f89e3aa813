"""What the clients of a soak note: answers by kind and status, versions seen, jobs started, and what should not have been."""

import threading
from collections import Counter

import httpx2

MOST_FAULTS = 50  # that are kept in words; the others are counted


class Notes:
    """Shared by all clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []
        self.faults_in_all = 0
        self.jobs: list[int] = []
        self.seen: set[tuple[int, str]] = set()  # version and digest, as answers named them
        self.known: dict[int, str] = {}  # digest of every version that there was
        self.events = 0

    def answered(self, kind: str, answer: httpx2.Response, allowed: tuple[int, ...]) -> httpx2.Response:
        """Note an answer; one that is not allowed is a fault, and so is a 503 that does not say when to come again."""
        with self._lock:
            self.answers[kind, answer.status_code] += 1
        honest = answer.status_code == 503 and answer.headers.get("Retry-After", "").isdigit()
        if answer.status_code not in allowed and not honest:
            self.fault(f"{kind}: {answer.status_code} {answer.text[:200]}")
        return answer

    def fault(self, words: str) -> None:
        """Note what should not have been."""
        with self._lock:
            self.faults_in_all += 1
            if len(self.faults) < MOST_FAULTS:
                self.faults.append(words)

    def saw(self, model: dict[str, object]) -> None:
        """Note the version that an answer named."""
        with self._lock:
            self.seen.add((int(str(model["version"])), str(model.get("sha256", ""))))

    def started(self, job: int) -> None:
        """Note a job."""
        with self._lock:
            self.jobs.append(job)

    def heard(self, count: int) -> None:
        """Note events of jobs."""
        with self._lock:
            self.events += count

    def knows(self, versions: list[dict[str, object]]) -> None:
        """Note the versions that there are."""
        with self._lock:
            self.known.update({int(str(each["version"])): str(each["sha256"]) for each in versions})

    def unknown_versions(self) -> list[tuple[int, str]]:
        """Versions that answers named and that there never were."""
        return sorted(pair for pair in self.seen if self.known.get(pair[0]) is None or pair[1] not in ("", self.known[pair[0]]))
