"""A modality of others: asks for its worklist, then performs a step. Argument: the port."""

import sys

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
)

ae = AE(ae_title="MODALITY")
ae.add_requested_context(ModalityWorklistInformationFind)
ae.add_requested_context(ModalityPerformedProcedureStep)
assoc = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="WARDLINE")
assert assoc.is_established, "no association"

step = Dataset()
step.Modality = "CT"
step.ScheduledStationAETitle = ""
step.ScheduledProcedureStepStartDate = "20261127-20261129"
query = Dataset()
query.PatientName = "m*"
query.PatientID = ""
query.StudyInstanceUID = ""
query.SpecificCharacterSet = "ISO_IR 192"
query.ScheduledProcedureStepSequence = [step]
found = [
    answer
    for status, answer in assoc.send_c_find(query, ModalityWorklistInformationFind)
    if status.Status in (0xFF00, 0xFF01)
]
assert len(found) == 1, found
assert found[0].PatientName == "Müller^Änne", found[0].PatientName
assert found[0].ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "MODALITY"

told = Dataset()
told.PerformedProcedureStepStatus = "IN PROGRESS"
told.PerformedProcedureStepID = "P1"
told.PatientID = found[0].PatientID
told.ScheduledStepAttributesSequence = [Dataset()]
told.ScheduledStepAttributesSequence[0].StudyInstanceUID = found[0].StudyInstanceUID
name = generate_uid()
status, _ = assoc.send_n_create(told, ModalityPerformedProcedureStep, name)
assert status.Status == 0x0000, status
done = Dataset()
done.PerformedProcedureStepStatus = "COMPLETED"
done.PerformedProcedureStepEndDate = "20261128"
status, _ = assoc.send_n_set(done, ModalityPerformedProcedureStep, name)
assert status.Status == 0x0000, status
status, _ = assoc.send_n_set(done, ModalityPerformedProcedureStep, generate_uid())
assert status.Status == 0x0112, status
assoc.release()
