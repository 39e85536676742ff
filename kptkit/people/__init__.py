"""Bodies and their faces, from one call."""

from kptkit.people.estimator import PeopleEstimator, PeoplePrediction

__all__ = ["PeopleEstimator", "PeoplePrediction"]
