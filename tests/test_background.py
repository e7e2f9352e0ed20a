"""A job is done once, by whoever comes first, and its error is raised where it is wanted."""

import threading
from functools import partial

import pytest

from background import Background, Job


def test_work_that_has_not_begun_is_done_where_its_result_is_wanted() -> None:
    done: list[int] = []
    job = Job(lambda: done.append(threading.get_ident()))
    job.result()
    job.result()
    job.run()
    assert done == [threading.get_ident()]


def test_the_background_does_jobs_in_order_and_none_twice() -> None:
    held, done = threading.Event(), list[str]()
    background = Background()
    first = background.add(held.wait)
    jobs = {name: background.add(partial(done.append, name)) for name in "abc"}
    jobs["c"].result()
    held.set()
    assert first.result()
    jobs["b"].result()
    background.close()
    assert sorted(done) == ["a", "b", "c"]
    assert done[0] == "c"


def test_what_has_not_begun_is_dropped_at_the_end() -> None:
    held, done = threading.Event(), list[int]()
    background = Background()
    background.add(held.wait)
    background.add(lambda: done.append(1))
    threading.Timer(0.1, held.set).start()
    background.close()
    assert done == []


def test_an_error_is_raised_where_the_result_is_wanted() -> None:
    background = Background()
    job = background.add(lambda: pytest.fail("the gate is red"))
    background.close()
    with pytest.raises(pytest.fail.Exception, match="the gate is red"):
        job.result()
