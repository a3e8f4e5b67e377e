"""What can break, broken at random while devices write; then what they were told is held against what is there."""
