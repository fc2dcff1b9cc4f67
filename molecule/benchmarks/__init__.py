"""What the figures and the pictures of docs/ are made by."""
