//! Which storage classes there are: those that the official client brings with it, and those that the
//! configuration adds for a repository with classes of its own.

/// Those of the client's `configs/storageClasses.yaml` (`lsst-daf-butler` 30.2026.4300), in code point
/// order.
const OF_CLIENT: [&str; 122] = [
    "ApCorr",
    "ArrowAstropy",
    "ArrowAstropySchema",
    "ArrowColumnList",
    "ArrowNumpy",
    "ArrowNumpyDict",
    "ArrowNumpySchema",
    "ArrowSchema",
    "ArrowTable",
    "AstropyQTable",
    "AstropyTable",
    "AstropyUnit",
    "Background",
    "BackgroundMap",
    "Bounds",
    "Box2I",
    "BoxV2",
    "BrighterFatterKernel",
    "ButlerLogRecords",
    "Camera",
    "Catalog",
    "CellCoadd",
    "CellCoaddProvenance",
    "CellPointSpreadFunction",
    "CoaddInputs",
    "ColorImage",
    "Config",
    "ConvolutionKernel",
    "CrosstalkCalib",
    "DataFrame",
    "DataFrameIndex",
    "DataFrameSchema",
    "DecoratedImage",
    "DecoratedImageU",
    "Defects",
    "Detector",
    "DetectorV2",
    "DifferenceImage",
    "Exposure",
    "ExposureCatalog",
    "ExposureF",
    "ExposureI",
    "ExposureSummaryStats",
    "ExposureU",
    "ExtendedPsfCandidates",
    "ExtendedPsfImage",
    "Extent2I",
    "FiberSpectrum",
    "FilterLabel",
    "FocalPlaneBackground",
    "HealSparseCoverage",
    "HealSparseMap",
    "Image",
    "ImageF",
    "ImageField",
    "ImageI",
    "ImageU",
    "ImageV2",
    "IsrCalib",
    "Linearizer",
    "LsstScarletModelData",
    "Mask",
    "MaskV2",
    "MaskX",
    "MaskedImage",
    "MaskedImageF",
    "MaskedImageI",
    "MaskedImageU",
    "MaskedImageV2",
    "MatchingKernel",
    "MetricMeasurementBundle",
    "MetricValue",
    "MultipleCellCoadd",
    "NNModelPackagePayload",
    "NumpyArray",
    "ObjectMaskCatalog",
    "ObservationInfo",
    "ObservationSummaryStats",
    "PZModel",
    "Packages",
    "PeakCatalog",
    "PhotoCalib",
    "PhotonTransferCurveDataset",
    "PhotozModel",
    "Plot",
    "Point2I",
    "PointSpreadFunction",
    "Polygon",
    "PropertyList",
    "PropertySet",
    "ProvenanceQuantumGraph",
    "Psf",
    "QECurve",
    "QPEnsemble",
    "RegionTimeInfo",
    "SSPAuxiliaryFile",
    "ScarletModelData",
    "SimpleCatalog",
    "SkyMap",
    "SkyProjection",
    "SourceCatalog",
    "SpectractorFitParameters",
    "SpectractorImage",
    "SpectractorSpectrum",
    "Stamps",
    "StampsBase",
    "StrayLightData",
    "StructuredDataDict",
    "StructuredDataList",
    "TablePersistable",
    "TaskMetadata",
    "Thumbnail",
    "Timespan",
    "Transform",
    "TransmissionCurve",
    "VignettingCorrection",
    "VisitBackgroundModel",
    "VisitGeometry",
    "VisitImage",
    "VisitInfo",
    "Wcs",
    "int",
];

/// The names of the storage classes that dataset types may have.
#[derive(Debug, Clone, Default)]
pub(super) struct StorageClasses {
    added: Vec<String>,
}

impl StorageClasses {
    /// The client's own, and these.
    pub fn new(added: &[String]) -> Self {
        Self { added: added.to_vec() }
    }

    /// Says what is wrong with the name of a storage class.
    pub fn check(&self, name: &str) -> Result<(), String> {
        if OF_CLIENT.binary_search(&name).is_ok() || self.added.iter().any(|added| added == name) {
            return Ok(());
        }
        Err(format!(
            "storage class {name:?} is unknown; if the repository has it, name it in \
             format.storage_classes"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{OF_CLIENT, StorageClasses};

    #[test]
    fn knows_the_clients_and_those_that_are_added() {
        assert!(OF_CLIENT.is_sorted());
        let classes = StorageClasses::new(&["Mine".to_owned()]);
        for known in ["ApCorr", "int", "DataFrame", "Mine"] {
            assert_eq!(classes.check(known), Ok(()), "{known}");
        }
        for unknown in ["", "Int", "mine", "DataFrame.columns"] {
            assert!(classes.check(unknown).is_err(), "{unknown}");
        }
    }
}
