"""What tests share: writers in processes of their own, the command as users run it, comparisons of trees."""
