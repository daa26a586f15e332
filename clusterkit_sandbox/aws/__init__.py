"""AWS, as far as an EKS cluster needs it: moto beneath, an EKS of our own on top."""
