"""What other tools' files declare, as services of Pserv: what `pserv init` finds in a folder."""
