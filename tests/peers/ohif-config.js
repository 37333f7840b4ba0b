// What OHIF asks for as app-config.js: one DICOMweb archive under its own address, nothing of the world outside.
window.config = {
	routerBasename: '/', extensions: [], modes: [], customizationService: {},
	showStudyList: true, showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false, strictZSpacingForVolumeViewport: true,
	investigationalUseDialog: { option: 'never' },
	maxNumberOfWebWorkers: 2, useSharedArrayBuffer: 'FALSE', maxNumRequests: { interaction: 100, thumbnail: 75, prefetch: 25 },
	defaultDataSourceName: 'archive',
	dataSources: [{
		namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'archive',
		configuration: {
			name: 'archive', friendlyName: 'archive', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web', wadoUriRoot: '/wado',
			qidoSupportsIncludeField: false, supportsReject: false, supportsFuzzyMatching: false, supportsWildcard: true, staticWado: false,
			imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
			singlepart: 'bulkdata,video', bulkDataURI: { enabled: true, relativeResolution: 'studies' },
		},
	}],
};
