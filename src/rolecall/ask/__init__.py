"""Questions about access: what happens and what decides, who can, the shortest repair, and sessions as a persona."""
