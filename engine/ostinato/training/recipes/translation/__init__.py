"""What packages of software are, from English to Italian."""
