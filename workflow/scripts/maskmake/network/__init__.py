"""What comes before any training: settings, device, networks, memory."""
