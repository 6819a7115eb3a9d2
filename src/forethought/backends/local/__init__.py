"""The models of this machine as a back end."""
