"""AWS, as far as an EKS cluster needs it: an EKS emulator of our own on top of moto."""
