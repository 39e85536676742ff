"""Recipes: all constants of published results and of our own, as frozen dataclasses."""

from kptkit.recipes.face import FACE_RECIPES, FaceRecipe
from kptkit.recipes.learning import Learning
from kptkit.recipes.pose import RECIPES, PoseRecipe

__all__ = ["FACE_RECIPES", "RECIPES", "FaceRecipe", "Learning", "PoseRecipe"]
