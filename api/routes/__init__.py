"""The endpoints, one module per subject. They translate; they decide nothing."""
