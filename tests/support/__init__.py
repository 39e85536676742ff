"""What tests share: small networks and pictures, other projects' files, a double of TF Serving."""
