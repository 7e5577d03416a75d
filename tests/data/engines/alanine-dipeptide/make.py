"""Makes system.xml, alanine dipeptide in vacuum: the System of examples/data without its implicit solvent. Standard library only."""

import pathlib
import xml.etree.ElementTree as xml

here = pathlib.Path(__file__).parent
system = xml.parse(here / "../../../../examples/data/alanine-dipeptide/system.xml")
forces = system.getroot().find("Forces")
(solvent,) = [force for force in forces if force.get("type") == "GBSAOBCForce"]
forces.remove(solvent)
system.write(here / "system.xml", encoding="unicode", xml_declaration=True)
