"""What is exported: a Model2Vec model as it is stored, and made smaller."""
