"""Training by gradients: the skorch net, the masked loss and the optimizers."""
