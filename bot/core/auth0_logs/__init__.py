"""What log rows and error texts of an Auth0 tenant mean."""
