"""What Keras is told before any training: settings, device, networks, memory."""
