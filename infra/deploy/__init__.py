"""What an installation is made of: images, units, manifests, a proxy's configuration, the offline bundle, and the sizing model."""
