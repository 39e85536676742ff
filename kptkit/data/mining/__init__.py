"""Training windows for P-Net, R-Net and O-Net."""
