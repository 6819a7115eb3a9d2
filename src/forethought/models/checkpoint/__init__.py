"""Reading published weights: claims checked, shapes compared, formats unpacked."""
