"""Evaluation metrics, as their papers define them: OKS and AP, PCK, NME, detection AP, recall."""
