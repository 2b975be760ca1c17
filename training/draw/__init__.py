"""The drawn world: photo-like pictures of products with defects, masks and a description, made from a seed."""
