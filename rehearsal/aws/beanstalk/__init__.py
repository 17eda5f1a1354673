"""Elastic Beanstalk, of which moto has little: applications, versions, and environments that run."""
