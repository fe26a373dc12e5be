"""What the model of samples is made of besides: predictions of the next sample, and what keeps them stable."""
