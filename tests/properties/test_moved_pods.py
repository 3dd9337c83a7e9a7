"""What Auto moves stays within the budget also if it ignores the pooler, and else gets there whatever comes first."""

from hypothesis import settings

from tests.properties.moved_machine import MovedPods

TestMovedPods = MovedPods.TestCase
TestMovedPods.settings = settings(deadline=None, stateful_step_count=30)
