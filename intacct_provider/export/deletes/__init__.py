"""Finding the records that were deleted since the last export."""
