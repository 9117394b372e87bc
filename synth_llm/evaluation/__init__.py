"""What a dataset is worth: is it like the real thing, does a student learn from it, does it give anybody away."""
