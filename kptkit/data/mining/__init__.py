"""Cuts the training crops of P-Net, R-Net and O-Net out of annotated pictures."""
