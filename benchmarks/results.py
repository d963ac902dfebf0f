"""What the processes of a run reported."""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Results:
    """What the processes reported, and who is missing."""

    times: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, peer: str, said: dict) -> None:
        """Take in what a process said."""
        self.versions[peer] = said["version"]
        for name, seconds in said["times"].items():
            self.times[peer][name].append(seconds)
        for name, error in said["errors"].items():
            self.errors[f"{peer}, {name}"] = error
