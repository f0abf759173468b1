"""Tests of the arithmetic behind bench/run: what a ratio is made of, and what the gate says."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from gate import GATES, missed_gates  # noqa: E402
from measure import FEWEST_PAIRS, Comparison, Sample  # noqa: E402


def entry_of(variant: list[Sample], baseline: list[Sample]) -> dict:
    comparison = Comparison()
    comparison.add_run(variant, baseline)
    return comparison.entry("case", "none")


class RatioTest(unittest.TestCase):
    def test_is_taken_within_a_pair_so_that_a_drift_of_the_machine_cancels(self):
        baseline = [Sample(100.0 * (1 + i)) for i in range(20)]
        variant = [Sample(1.1 * sample.nanoseconds) for sample in baseline]
        self.assertEqual(entry_of(variant, baseline)["ratio"], 1.1)

    def test_leaves_out_pairs_in_which_either_side_was_disturbed(self):
        baseline = [Sample(100.0)] * FEWEST_PAIRS + [Sample(100.0)] * 40 + [Sample(10.0, True)] * 40
        variant = [Sample(110.0)] * FEWEST_PAIRS + [Sample(900.0, True)] * 40 + [Sample(110.0)] * 40
        entry = entry_of(variant, baseline)
        self.assertEqual((entry["ratio"], entry["figure"], entry["baseline"]), (1.1, 110.0, 100.0))
        self.assertEqual((entry["pairs"], entry["disturbed_pairs"]), (FEWEST_PAIRS + 80, 80))

    def test_uses_every_pair_where_too_few_were_calm(self):
        baseline = [Sample(100.0)] * 20
        variant = [Sample(300.0)] * (FEWEST_PAIRS - 1) + [Sample(200.0, True)] * (21 - FEWEST_PAIRS)
        self.assertEqual(entry_of(variant, baseline)["ratio"], 2.0)

    def test_is_the_median_of_the_runs(self):
        comparison = Comparison()
        for cost in (120.0, 900.0, 110.0):
            comparison.add_run([Sample(cost)] * 20, [Sample(100.0)] * 20)
        self.assertEqual(comparison.entry("case", "none")["ratio"], 1.2)


class GateTest(unittest.TestCase):
    def test_passes_ratios_at_their_limits(self):
        self.assertEqual(missed_gates([{"case": case, "ratio": limit, "figure": 1.0, "unit": "ns"} for case, limit in GATES.items()], GATES), [])

    def test_names_the_case_that_missed(self):
        entries = [{"case": case, "ratio": limit, "figure": 1.0, "unit": "ns"} for case, limit in GATES.items()]
        entries[0]["ratio"] = 1.9
        missed = missed_gates(entries, GATES)
        self.assertEqual(len(missed), 1)
        self.assertIn(entries[0]["case"], missed[0])
        self.assertIn("1.900", missed[0])

    def test_names_the_case_whose_figure_is_above_what_is_promised(self):
        entries = [{"case": "event_latency", "ratio": 1.0, "figure": 51e6, "unit": "ns"}]
        self.assertEqual(len(missed_gates(entries, [])), 1)
        entries[0]["figure"] = 49e6
        self.assertEqual(missed_gates(entries, []), [])

    def test_holds_one_variant_to_a_figure_and_not_the_others(self):
        entries = [{"case": f"dns_cpu/{variant}", "ratio": 1.0, "figure": 2e4, "unit": "ns"}
                   for variant in ("namewall", "dnsmasq")]
        missed = missed_gates(entries, [])
        self.assertEqual(len(missed), 1)
        self.assertIn("dns_cpu/namewall", missed[0])

    def test_misses_a_case_with_failures(self):
        entries = [{"case": "dns_neighbour/namewall", "ratio": 1.0, "figure": 1.0, "unit": "ns", "failures": 1}]
        self.assertEqual(len(missed_gates(entries, ["dns_neighbour/namewall"])), 1)
        entries[0]["failures"] = 0
        self.assertEqual(missed_gates(entries, ["dns_neighbour/namewall"]), [])

    def test_misses_a_case_that_was_not_measured(self):
        self.assertEqual(len(missed_gates([], GATES)), len(GATES))


if __name__ == "__main__":
    unittest.main()
