"""The table of job states is complete and says what the walk promises."""

from __future__ import annotations

from jobs.states import FINAL, MEANING, OPEN, TRANSITIONS, State, diagram, may


def test_every_state_has_a_meaning_and_is_reachable() -> None:
    assert set(MEANING) == set(State)
    reached = {State.SUBMITTED} | {step.after for step in TRANSITIONS}
    assert reached == set(State)


def test_every_way_ends() -> None:
    assert {State.PUBLISHED, State.REFUSED, State.CANCELLED, State.FORFEITED, State.REJECTED} == FINAL
    for state in State:
        seen, edge = {state}, [state]
        while edge:
            here = edge.pop()
            for step in TRANSITIONS:
                if step.before is here and step.after not in seen:
                    seen.add(step.after)
                    edge.append(step.after)
        assert seen & FINAL, state


def test_nothing_is_refunded_once_rows_are_read() -> None:
    """From reading on, no state that can follow admits a released or absent charge as the charge of the job."""
    after_reading = {State.READING, State.SPENT, State.STAGED}
    for state in after_reading:
        assert MEANING[state].charge.isdisjoint({"none", "reserved", "released"})
        assert not may(state, State.REFUSED)
        assert not may(state, State.ADMITTED)


def test_noise_is_drawn_only_after_spending_and_published_only_when_staged() -> None:
    assert {step.before for step in TRANSITIONS if step.after is State.STAGED} == {State.SPENT, State.HELD}  # HELD: approved
    assert {step.before for step in TRANSITIONS if step.after is State.PUBLISHED} == {State.STAGED, State.SUBMITTED, State.ATTACHED}


def test_a_server_that_starts_has_something_to_do_for_every_open_state() -> None:
    assert {State.ADMITTED, State.ATTACHED, State.READING, State.SPENT, State.STAGED} == OPEN
    assert MEANING[State.STAGED].at_start == "publish"
    assert all(MEANING[state].shown == "running" for state in OPEN)


def test_the_diagram_names_every_transition() -> None:
    assert all(f"{step.before} --> {step.after}" in diagram() for step in TRANSITIONS)
