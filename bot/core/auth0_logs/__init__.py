"""What rows and error texts of an Auth0 tenant log mean."""
