"""People: bodies and their faces."""

from kptkit.people.estimator import PeopleEstimator, PeoplePrediction

__all__ = ["PeopleEstimator", "PeoplePrediction"]
