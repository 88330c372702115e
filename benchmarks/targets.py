"""What the benchmarks must reach, as ratios within one run: they hold on any machine, if it is quiet."""

from __future__ import annotations

from typing import Any

#: Ratios at most, by section and contestant. Those at 0 ms are 5 % above what was measured on 2026-11-21.
TARGETS: dict[str, dict[str, dict[str, float]]] = {
    "export_50k_200ms": {"operator": {"of_best_peer": 0.35}},
    "export_1m_200ms_6": {"operator": {"of_best_peer": 0.165, "of_ceiling": 1.06}},
    "export_1m_200ms_15": {"operator": {"of_ceiling": 1.20}},
    "export_50k_0ms": {
        "operator": {"of_best_peer": 0.40},
        "operator-parquet": {"of_best_peer": 0.525},
        "client": {"of_best_peer": 1.33},
    },
    "export_1m_0ms": {
        "operator": {"of_best_peer": 0.515},
        "operator-parquet": {"of_best_peer": 0.715},
        "client": {"of_best_peer": 1.40},
    },
}


def compare(sections: dict[str, Any]) -> bool:
    """Print each target with what was measured; return whether all are met."""
    met = True
    for section, contestants in TARGETS.items():
        for fact in sections.get(section, ()):
            for name, most in contestants.get(fact["contestant"], {}).items():
                found = fact[name]
                fine = found is not None and found <= most
                met &= fine
                verdict = "met" if fine else "MISSED"
                print(f"  {section}, {fact['title']}, {name}: {found}, at most {most}: {verdict}", flush=True)
    return met
