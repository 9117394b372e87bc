"""The bars of evaluation: metrics against other implementations, conclusions on data made to be known, students."""
